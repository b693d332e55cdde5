"""The remedies that explanations suggest."""
