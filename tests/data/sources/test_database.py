"""SQL databases: SQLite, a real PostgreSQL, DuckDB where it is installed."""

from __future__ import annotations

import sqlite3

import pytest

from tenfold.data.sources.kinds import connector
from tenfold.errors import ConfigError, InputError

CREATE = "CREATE TABLE notes (id INTEGER, body TEXT, changed TIMESTAMP, price NUMERIC(12, 4))"
ROWS = [(n, f"note {n}", f"2024-01-01 00:00:{n % 60:02d}", "1.2500") for n in range(1, 1501)]


class Sqlite:
    mark = "?"

    def __init__(self, folder) -> None:
        self.connection = sqlite3.connect(folder / "a b?.db")
        self.url = f"sqlite:///{folder}/a b%3F.db"

    def run(self, statement: str, rows=None) -> None:
        if rows is None:
            self.connection.execute(statement)
        else:
            self.connection.executemany(statement, rows)
        self.connection.commit()

    def close(self) -> None:
        self.connection.close()


class Postgres:
    mark = "%s"

    def __init__(self, url: str) -> None:
        import psycopg

        self.connection = psycopg.connect(url, autocommit=True)
        self.url = url

    def run(self, statement: str, rows=None) -> None:
        with self.connection.cursor() as cursor:
            if rows is None:
                cursor.execute(statement)
            else:
                cursor.executemany(statement, rows)

    def close(self) -> None:
        self.connection.close()


class Duck:
    mark = "?"

    def __init__(self, folder) -> None:
        self.path = folder / "a.duckdb"
        self.url = f"duckdb:///{self.path}"

    def run(self, statement: str, rows=None) -> None:
        import duckdb

        with duckdb.connect(str(self.path)) as connection:  # one process may write or many read
            if rows is None:
                connection.execute(statement)
            else:
                connection.begin()
                connection.executemany(statement, rows)
                connection.commit()

    def close(self) -> None:
        pass


@pytest.fixture(params=["sqlite", "postgres", "duckdb"])
def database(request, tmp_path):
    if request.param == "postgres":
        made = Postgres(request.getfixturevalue("postgres_url"))
    elif request.param == "duckdb":
        pytest.importorskip("duckdb")
        made = Duck(tmp_path)
    else:
        made = Sqlite(tmp_path)
    made.run(CREATE)
    made.insert = f"INSERT INTO notes VALUES ({', '.join([made.mark] * 4)})"
    made.run(made.insert, ROWS[:700])
    yield made
    made.close()


def test_rows_and_only_new_ones_the_second_time(database, read):
    settings = {"kind": "sql", "url": database.url, "table": "notes", "key": "id", "since": "id"}
    first = read(**settings)
    assert [one["row"]["id"] for one in first.records] == [row[0] for row in ROWS[:700]]
    assert first.records[0]["place"] == "notes:1"
    assert first.records[0]["row"]["body"] == "note 1"
    before = connector({"licence": "x", **settings}).observe()
    assert (before["rows"], before["largest"]) == (700, 700)
    idle = read(first.cursor, **settings)
    assert (idle.records, idle.quarantined, idle.cursor) == ([], [], first.cursor)
    database.run(database.insert, ROWS[700:])
    second = read(first.cursor, **settings)
    assert [one["row"]["id"] for one in second.records] == [row[0] for row in ROWS[700:]]
    assert connector({"licence": "x", **settings}).observe() != before


def test_ties_of_a_time_are_neither_lost_nor_repeated(database, read):
    settings = {"kind": "sql", "url": database.url, "table": "notes", "since": "changed"}
    first = read(**settings)
    assert len(first.records) == 700
    database.run(database.insert, [(9001, "late", "2024-01-01 00:00:59", "3")])
    second = read(first.cursor, **settings)
    assert [one["row"]["id"] for one in second.records] == [9001]
    assert not read(second.cursor, **settings).records


def test_a_query_as_text_records(database, read):
    settings = {
        "kind": "sql", "url": database.url, "query": "SELECT id, body FROM notes WHERE id <= 3 ORDER BY id;",
        "modality": "text", "text_field": "body", "key": "id",
    }  # fmt: skip
    found = read(**settings)
    assert found.texts == ["note 1", "note 2", "note 3"]
    assert found.records[2]["meta"] == '{"id":3}'


def test_exact_numbers_stay_exact_and_nulls_stay_null(database, read):
    database.run(database.insert, [(8001, None, None, "12345678.9012")])
    found = read(kind="sql", url=database.url, query="SELECT * FROM notes WHERE id > 8000")
    assert found.records[0]["row"]["body"] is None
    assert float(found.records[0]["row"]["price"]) == 12345678.9012


def test_duplicate_keys_and_empty_texts(database, read):
    database.run(database.insert, [(1, "again", None, "1"), (8002, " ", None, "1")])
    settings = {"url": database.url, "table": "notes", "modality": "text", "text_field": "body"}
    found = read(kind="sql", key="id", **settings)
    assert len(found.records) == 700
    assert sorted((one.place, one.cause) for one in found.quarantined) == [
        ("notes:1", "duplicate_key"), ("notes:8002", "empty"),
    ]  # fmt: skip


def test_reading_never_writes(database, read):
    query = "DELETE FROM notes RETURNING *"
    with pytest.raises(InputError):
        read(kind="sql", url=database.url, query=query)
    assert len(read(kind="sql", url=database.url, table="notes").records) == 700


def test_columns_named_twice_are_refused(postgres_url, read):
    """PostgreSQL hands both out under one name; SQLite and DuckDB number them."""
    with pytest.raises(InputError, match="twice"):
        read(kind="sql", url=postgres_url, query="SELECT 1 AS x, 2 AS x")


def test_broken_text_and_broken_files(tmp_path, put, read):
    with sqlite3.connect(tmp_path / "a.db") as connection:
        connection.execute("CREATE TABLE t (x TEXT)")
        connection.execute("INSERT INTO t VALUES (CAST(x'63616669e9' AS TEXT))")
    connection.close()
    found = read(kind="sql", url=f"sqlite:///{tmp_path}/a.db", table="t")
    assert found.records[0]["row"]["x"] == "cafi\ufffd"
    assert found.integration.repaired == {"damaged": 1}
    put("b.db", b"no database at all, but some text" * 100)
    with pytest.raises(InputError, match="cannot be read"):
        read(kind="sql", url=f"sqlite:///{tmp_path}/b.db", table="t")
    with pytest.raises(InputError):
        read(kind="sql", url=f"sqlite:///{tmp_path}/nowhere.db", table="t")


def test_a_database_damaged_in_the_middle_gives_what_it_has(tmp_path, read):
    with sqlite3.connect(tmp_path / "a.db") as connection:
        connection.execute("CREATE TABLE t (n INTEGER, x TEXT)")
        connection.executemany("INSERT INTO t VALUES (?, ?)", [(n, "x" * 500) for n in range(4000)])
    connection.close()
    path = tmp_path / "a.db"
    data = bytearray(path.read_bytes())
    middle = len(data) // 2 // 4096 * 4096
    data[middle : middle + 40_960] = b"\xff" * 40_960
    path.write_bytes(bytes(data))
    found = read(kind="sql", url=f"sqlite:///{path}", table="t")
    assert 500 < len(found.records) < 3500
    assert found.causes == ["corrupt"]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"url": "postgresql://me:secret@host/db", "table": "t"}, "password"),
        ({"url": "mysql://host/db", "table": "t"}, "not a database"),
        ({"url": "sqlite:///a.db"}, "either a table or a query"),
    ],
)
def test_settings_that_cannot_be(settings, said):
    with pytest.raises(ConfigError, match=said) as error:
        connector({"kind": "sql", "licence": "x", **settings})
    assert "secret" not in str(error.value)


def test_a_reading_may_be_left_at_any_time(database):
    source = connector(
        {
            "kind": "sql",
            "url": database.url,
            "table": "notes",
            "licence": "x",
            "limits": {"rows": 9},
        }
    )
    items = source.read(None)
    assert next(items).num_rows == 9
    items.close()
