"""What runs expunge on servers: `deploy.stack` on one machine, and the files for containers."""
