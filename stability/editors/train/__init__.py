"""Editors that train: fine-tuning, LoRA, continual pre-training."""
