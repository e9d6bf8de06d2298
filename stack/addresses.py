"""Where to look once the shop is up."""

from domain.settings import Settings
from release import ledger
from stack.environment import AIRFLOW_USER, airflow_password
from stack.services import address
from stack.static import report_link


def airflow(settings: Settings) -> str:
    """Airflow's UI, with the name and the password to log in."""
    password = airflow_password(settings)
    return f"{address(settings, settings.airflow_port)} (user {AIRFLOW_USER}, password {password})"


def table(settings: Settings) -> list[list[str]]:
    """What there is to see, and where."""
    docs = address(settings, settings.docs_port)
    shop = address(settings, settings.serve_port)
    live = ledger.live(settings.releases)
    return [
        ["storefront", f"{shop}/"],
        ["API docs", f"{shop}/docs"],
        ["Airflow", airflow(settings)],
        ["data docs", f"{docs}/data-docs/"],
        ["experiments", address(settings, settings.mlflow_port)],
        ["report of the release", f"{docs}{report_link(live.run)}" if live else "none yet"],
    ]
