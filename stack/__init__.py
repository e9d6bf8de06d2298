"""What runs beside what: starts, watches and stops the processes of a running shop."""
