"""What the outside reaches, and through which Service, Ingress or Gateway."""

import pandas as pd

from auditkit.analysis.connections import Connections
from auditkit.analysis.objects import Objects


def frame(objects: Objects, connections: Connections) -> pd.DataFrame:
    return pd.DataFrame()
