"""A stand-in of the chart of Zero to JupyterHub, with real hubs, kubespawners and proxies in its images."""
