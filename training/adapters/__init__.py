"""Adapters: fine-tuning a base model of others on cleared clips, through diffusers and peft."""
