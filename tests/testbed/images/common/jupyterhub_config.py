"""The hub of the test bed, as an administrator may have written it; lay_out.sh fills in what is between @."""

c = get_config()  # type: ignore[name-defined]  # noqa: F821

c.JupyterHub.bind_url = "http://:8000"
c.JupyterHub.db_url = "@db_url@"
c.JupyterHub.spawner_class = "@spawner@"
c.JupyterHub.services = [{"name": "monitor", "api_token": "token-of-monitor-service"}]

c.JupyterHub.authenticator_class = "dummy"
c.DummyAuthenticator.password = "testbed"
c.Authenticator.admin_users = {"admin"}
c.Authenticator.allowed_users = {f"user-{number:03}" for number in range(200)}
c.Authenticator.enable_auth_state = True

c.Spawner.cmd = ["@user_environment@/bin/jupyterhub-singleuser"]
c.Spawner.default_url = "@start_page@"
c.SimpleLocalProcessSpawner.home_dir_template = "/home/hub/users/{username}"

load_subconfig("@config_folder@/roles.py")  # type: ignore[name-defined]  # noqa: F821
