# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  installer:
    description:
      - Which program installs packages.
      - V(auto) takes uv where it is available (on the host, in the environment, else fetched into the state
        folder), and pip otherwise, also where the host's configuration of pip has something that uv has not.
    type: str
    choices: [auto, uv, pip]
    default: auto
  index_url:
    description: Package index to use instead of the host's own configuration. It may hold credentials.
    type: str
    default: ""
  constraints:
    description: Constraints file on the host.
    type: path
    default: ""
  wheels:
    description: Folder of wheels on the host to install from instead of an index.
    type: path
    default: ""
  image:
    description:
      - For a hub in a container of Docker, the image that it is to be started from.
      - Without it one is built from the hub's own, by the pip that is in it.
    type: str
    default: ""
"""
