"""Ray Jobs: bulk work through the running application."""

import os

from configs.project import LOOPBACK_ONLY

# Ray reads it when it is imported. Without it, a driver looks for a cluster at 127.0.0.1 at this machine's address in
# its network, where the cluster of `make serve` does not listen. A cluster of several machines is found with it, too.
os.environ.setdefault(LOOPBACK_ONLY, "0")
