c.JupyterHub.port = 8000
