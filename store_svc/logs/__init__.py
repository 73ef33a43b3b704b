"""The system log: what the services and strategies of the mesh had to say."""
