"""What an analyst does in Python: the document's own example, its queries, and what must be refused.

Usage: analysts.py <what.json>, an object with url, password, show, parameters (by name), python (the document's block),
queries (each with its number of rows) and refused.
"""

import json
import sys
from uuid import UUID

import clickhouse_connect
from clickhouse_connect.driver.exceptions import DatabaseError


def main() -> int:
    with open(sys.argv[1], encoding="utf-8") as file:
        what = json.load(file)
    names = {"URL": what["url"], "PASSWORD": what["password"], "show": UUID(what["show"])}
    exec(compile(what["python"], "docs/analytics.md", "exec"), names)
    client, failures = names["client"], []
    if not names["result"].result_rows:
        failures.append("the example shows nothing")
    for query in what["queries"]:
        found = client.query(query["sql"], parameters=what["parameters"])
        if len(found.result_rows) != query["rows"] or not found.result_rows:
            failures.append(f"{len(found.result_rows)} rows instead of {query['rows']}: {query['sql']}")
    for sql in what["refused"]:
        try:
            client.command(sql)
            failures.append(f"was not refused: {sql}")
        except DatabaseError as refusal:
            if "Code: 497" not in str(refusal) and "Code: 164" not in str(refusal):
                failures.append(f"failed by chance: {sql}: {refusal}")
    print("\n".join(failures) or f"python: {len(what['queries'])} queries answered, {len(what['refused'])} refused")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
