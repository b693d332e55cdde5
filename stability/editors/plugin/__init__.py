"""What makes anything an editor: its protocol, finding it, its settings, presets and store."""
