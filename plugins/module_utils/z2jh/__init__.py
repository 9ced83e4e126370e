"""Zero to JupyterHub: a hub that is a Helm release on Kubernetes, seen through ``kubectl`` and ``helm``."""
