"""Builds the images of all versions of the chart: ``python -m tests.testbed.z2jh``.

With a folder as its argument it gives those of the chart to the cluster, too, and writes the charts into the
folder.
"""

from __future__ import annotations

import sys
from pathlib import Path

from ..kubernetes import running_cluster
from .charts import write_charts
from .images import SERVERS, build_images, build_server_image
from .versions import VERSIONS

images = [image for version in VERSIONS.values() for image in build_images(version)]
for image in (*images, *(build_server_image(kind) for kind in SERVERS)):
    print(f"image {image}: ready", flush=True)
for folder in sys.argv[1:]:
    with running_cluster() as cluster:
        cluster.load(images)
        write_charts(Path(folder), cluster.helm4_program)
