"""The dashboard: pages rendered on the server, with their templates and static files; and the process that serves them beside the API."""
