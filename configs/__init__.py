"""What an operator may change: settings, model ids, prompts."""
