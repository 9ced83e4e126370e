# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  watch:
    description: Seconds for which the hub must go on, as the same process, after all else was found well.
    type: int
    default: 0
  user:
    description:
      - A user whose server is started, as that user would, and stopped again; one that runs is left alone.
      - In between a kernel of it computes, through the proxy and over a websocket.
      - The hub's own spawner, and what it needs, are proven by nothing else. It leaves what a server leaves,
        in the user's home and in the hub's database.
      - Not in check mode.
    type: str
    default: ""
  checks:
    description:
      - What is done as a person does it. The result says how each check ended, or why it was left out.
      - V(login) asks for the log-in page. V(server) starts and stops the server of O(user), V(kernel) has it
        compute; that needs JupyterHub 2.0 or later, and a server that offers kernels.
    type: list
    elements: str
    choices: [login, server, kernel]
    default: [login, server, kernel]
"""
