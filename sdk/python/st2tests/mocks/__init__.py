"""Stand-ins for the services of sensors and actions."""
