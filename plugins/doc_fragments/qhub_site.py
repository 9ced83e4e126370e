# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  site:
    description: The site of QHub, and what it is to become.
    type: dict
    required: true
    suboptions:
      folder:
        description: Folder with C(qhub-config.yaml), a clone of the site's repository.
        type: path
        required: true
      version:
        description: The wanted version of QHub. Needed until the redeployment has begun.
        type: str
        default: ""
      old_version:
        description: The version that the site runs, where its config does not say it.
        type: str
        default: ""
      old_domain:
        description: The domain under which the old site goes on.
        type: str
        default: ""
      project:
        description: The new site's project name.
        type: str
        default: ""
      kubernetes_version:
        description: The new site's version of Kubernetes; the old one's unless given.
        type: str
        default: ""
      python:
        description: Python 3.9 for QHub; C(python3.9) of the C(PATH) unless given.
        type: path
        default: ""
      requirements:
        description: Files with pinned requirements, by versions of QHub, where the collection has none.
        type: dict
        default: {}
      user_data:
        description: The backup of the shared volume with the users' data, a tar on this host.
        type: dict
        suboptions: &backup
          path:
            description: The file.
            type: path
            required: true
          sha256:
            description: Its checksum as it was noted when the backup was made.
            type: str
            default: ""
          size:
            description: Its bytes, needed for an object at S3, C(s3://bucket/key), as its C(sha256) is.
            type: int
            default: 0
      hub_database:
        description: The backup of the hub's C(jupyterhub.sqlite), a file on this host.
        type: dict
        suboptions: *backup
      backup_max_age:
        description: How old the backups may be when the gate is passed, in seconds since their last change.
        type: int
        default: 86400
      branch:
        description: The branch for the commit; C(qhub-) and the wanted version unless given.
        type: str
        default: ""
      push:
        description: Push that branch to C(origin).
        type: bool
        default: false
      restored_data:
        description: Folder of this host with the new site's shared volume, once it is restored.
        type: path
        default: ""
      restored_database:
        description: A copy of the new hub's C(jupyterhub.sqlite), made once that was restored.
        type: path
        default: ""
      keycloak_url:
        description: The new site's Keycloak; C(/auth) of the site's domain unless given.
        type: str
        default: ""
      keycloak_user:
        description: Keycloak's administrator, of the realm C(master).
        type: str
        default: root
      keycloak_password:
        description: Its password.
        type: str
        default: ""
      keycloak_password_file:
        description: File of this host that gets the new password of Keycloak's administrator.
        type: path
        default: ""
      keycloak_realm:
        description: The realm of the site's users.
        type: str
        default: qhub
      validate_certs:
        description: Whether the certificates of the sites are checked.
        type: bool
        default: true
      auth0_client_id:
        description: An application that is authorized for Auth0's management API, to read and update clients.
        type: str
        default: ""
      auth0_client_secret:
        description: Its secret.
        type: str
        default: ""
      hub_token:
        description: A token of an administrator of the new hub; its users are counted where it is given.
        type: str
        default: ""
      destroy_project:
        description: The old site's project name, as the confirmation that its cluster may be destroyed.
        type: str
        default: ""
      destroy_options:
        description: Further options of C(qhub destroy) for the old site.
        type: list
        elements: str
        default: []
      accept_loss:
        description: Go back to the old site, though it does not have what was written on the new one.
        type: bool
        default: false
      deploy_options:
        description: Further options of C(qhub deploy) for the new site, such as V(--dns-auto-provision).
        type: list
        elements: str
        default: []
      old_deploy_options:
        description: The same for the old site.
        type: list
        elements: str
        default: []
      state_folder:
        description:
          - Folder in which the record is kept, below it C(qhub) and the site's domain.
          - V(/var/lib/hubops) for root and C(~/.local/state/hubops) for other users, unless given.
        type: path
"""
