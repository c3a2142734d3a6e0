"""REST API Endpoints: each translates a request to one call of a service, and nothing else."""
