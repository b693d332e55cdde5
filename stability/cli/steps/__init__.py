"""What commands share: how a function becomes one, their options, and what they show."""
