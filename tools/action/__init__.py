"""What `action.yml` calls."""
