"""The house rules, as tests. docs/style.md says why each stands."""

import ast
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from cli.main import COMMANDS
from domain.assets import FEATURE_TABLES
from domain.schemas import LANDED, MARTS

ROOT = Path(__file__).parents[1]
ROOMS = (
    "bentos",
    "cli",
    "dags",
    "domain",
    "features",
    "feature_repo",
    "ingest",
    "models",
    "quality",
    "release",
    "simulator",
    "stack",
    "warehouse",
)
# The shops' own words stay where a shop's rows are read; everything after speaks one language.
OTHER_WORDS = re.compile(
    r"\b(customers?|customer_id|skus?|stock_code|asins?|product_id|idx)\b", re.IGNORECASE
)
WORDS_OF_A_SHOP = (
    "ingest/",
    "dbt/models/staging/",
    "domain/schemas.py",  # the landed tables' columns, as the shop names them
    "quality/suites/transactions.py",
    "quality/mutations/invoices.py",  # spoils a shop's rows as they come
    "stack/mutate/good_day.py",  # makes up such rows
)


@cache
def tracked() -> tuple[Path, ...]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("needs the git checkout to know which files are the project's")
    return tuple(path for line in listed.stdout.splitlines() if (path := ROOT / line).is_file())


def sources(suffix: str, *rooms: str) -> Iterator[Path]:
    wanted = rooms or ROOMS
    return (
        path
        for path in tracked()
        if path.suffix == suffix and path.relative_to(ROOT).parts[0] in wanted
    )


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def lines_of(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


@pytest.mark.parametrize("table", FEATURE_TABLES)
def test_a_feature_table_has_one_name_through_all_layers(table: str):
    assert (ROOT / "quality" / "suites" / f"{table}.py").exists()
    assert (ROOT / "feature_repo" / f"{table}.py").exists()
    assert list((ROOT / "dbt" / "models").rglob(f"{table}.sql"))
    assert list((ROOT / "dbt" / "models").rglob(f"{table}.yml"))
    assert table in MARTS


def test_every_landed_table_and_every_example_table_has_a_suite():
    tables = {table for tables in LANDED.values() for table in tables}
    tables |= {"retrieval_examples", "ranking_examples", *FEATURE_TABLES}
    suites = {path.stem for path in (ROOT / "quality" / "suites").glob("*.py")}
    assert tables - suites == set()


def test_every_dbt_model_has_a_description_file_of_its_name():
    models = list((ROOT / "dbt" / "models").rglob("*.sql"))
    assert len(models) >= len(MARTS)
    assert [name_of(sql) for sql in models if not sql.with_suffix(".yml").exists()] == []


def test_every_dbt_model_says_its_grain_first():
    models = sources(".sql", "dbt")
    wrong = [
        name_of(sql)
        for sql in models
        if "/models/" in name_of(sql) and not sql.read_text().startswith("-- grain: one row per ")
    ]
    assert wrong == []


@pytest.mark.parametrize("suffix", [".py", ".sql", ".yml"])
def test_no_word_of_one_shop_outside_the_rooms_that_read_shops(suffix: str):
    found = [
        f"{name_of(path)}:{number}: {line.strip()}"
        for path in sources(suffix, *ROOMS, "dbt")
        if not name_of(path).startswith(WORDS_OF_A_SHOP)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if OTHER_WORDS.search(line)
    ]
    assert found == []


def test_files_stay_small_enough_to_read():
    too_long = {name_of(path): lines_of(path) for path in sources(".py") if lines_of(path) > 400}
    assert too_long == {}


def test_functions_stay_small_enough_to_hold_in_mind():
    too_long = {
        f"{name_of(path)}:{function.name}": lines
        for path in sources(".py")
        for function in functions(path)
        # The docstring explains the function; it does not make it longer to follow.
        if (lines := _body_lines(function)) > 45
    }
    assert too_long == {}


def _body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    has_docstring = ast.get_docstring(function) is not None
    body = function.body[1:] if has_docstring else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


@pytest.mark.parametrize(
    ("paths", "limit"),
    [("dags/*.py", 80), ("dbt/models/**/*.sql", 80), ("bentos/recommender/service.py", 80)],
)
def test_budgets_of_dags_models_and_the_service(paths: str, limit: int):
    found = list(ROOT.glob(paths))
    assert found
    assert {name_of(path): lines_of(path) for path in found if lines_of(path) > limit} == {}


def test_nothing_shadows_dbt():
    assert not (ROOT / "dbt" / "__init__.py").exists()
    assert list((ROOT / "dags").glob("dbt_*")) == []


def test_no_package_hides_among_the_tests():
    assert list((ROOT / "tests").rglob("__init__.py")) == []


def test_every_command_exists_and_is_listed_in_the_contracts():
    contracts = (ROOT / "docs" / "contracts.md").read_text(encoding="utf-8")
    for command, module in COMMANDS.items():
        assert (ROOT / module.replace(".", "/")).with_suffix(".py").exists(), command
        assert f"vitrine {command}" in contracts, command


def test_only_the_settings_read_the_environment():
    # Rooms that start processes hand the environment on; they look nothing up in it.
    starts_processes = ("stack/", "release/", "warehouse/", "cli/serve.py")
    # Two switches that other people's libraries read nowhere else.
    tames_a_library = ("features/quiet.py", "models/tracking.py")
    reads = re.compile(r"os\.(environ|getenv)")
    found = [
        name_of(path)
        for path in sources(".py")
        if reads.search(path.read_text(encoding="utf-8"))
        and name_of(path) != "domain/settings.py"
        and not name_of(path).startswith(starts_processes + tames_a_library)
    ]
    assert found == []


def test_no_pickle_and_no_foreign_weights_are_read():
    banned = re.compile(
        r"^\s*(import|from) (pickle|cPickle|dill|joblib|shelve|marshal)\b|torch\.(load|save)\(|"
        r"allow_pickle=True|read_pickle|to_pickle",
        re.M,
    )
    found = [
        name_of(path)
        for path in (*sources(".py"), *sources(".py", "tests", "benchmarks"))
        if path != Path(__file__) and banned.search(path.read_text(encoding="utf-8"))
    ]
    assert found == []


def test_no_file_names_a_path_of_one_machine():
    machine = re.compile(r"(?<![\w.])/(work|root|home/\w+|opt/(wheels|pypi))/")
    found = [
        name_of(path)
        for path in tracked()
        if path.suffix in {".py", ".md", ".sql", ".yml", ".yaml", ".toml", ".txt", ".json", ".sh"}
        and path != Path(__file__)
        and machine.search(path.read_text(encoding="utf-8", errors="replace"))
    ]
    assert found == []


def test_no_large_file_and_no_data_is_tracked():
    large = [name_of(path) for path in tracked() if path.stat().st_size > 1_000_000]
    assert large == []
    formats = {".pkl", ".pt", ".pth", ".joblib", ".safetensors", ".parquet", ".duckdb", ".bento"}
    assert [name_of(path) for path in tracked() if path.suffix in formats] == []
