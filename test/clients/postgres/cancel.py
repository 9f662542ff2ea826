"""Cancels a long query by psycopg2 (in the clear) and by psycopg (inside TLS, libpq 17)."""

import json
import os
import threading

import psycopg
import psycopg2

conninfo = {
    "host": os.environ["HOST"],
    "hostaddr": "127.0.0.1",
    "port": os.environ["PORT"],
    "user": os.environ["USERNAME"],
    "password": os.environ["PASSWORD"],
    "dbname": "postgres",
    "sslmode": "verify-full",
    "sslrootcert": os.environ["CA"],
}


def running(pid):
    with psycopg.connect(**conninfo, autocommit=True) as other:
        query = "select count(*) from pg_stat_activity where pid = %s and state = 'active'"
        while other.execute(query, [pid]).fetchone() != (1,):
            pass


def cancelled(connect, pid_of, cancel):
    connection = connect(**conninfo)
    watcher = threading.Thread(target=lambda: (running(pid_of(connection)), cancel(connection)))
    watcher.start()
    try:
        connection.cursor().execute("select pg_sleep(600)")
        return "ran on"
    except (psycopg.Error, psycopg2.Error) as error:
        return error.sqlstate if isinstance(error, psycopg.Error) else error.pgcode
    finally:
        watcher.join()
        connection.close()


print(
    json.dumps(
        {
            "psycopg2": cancelled(
                psycopg2.connect, lambda c: c.info.backend_pid, lambda c: c.cancel()
            ),
            "psycopg": cancelled(
                psycopg.connect, lambda c: c.info.backend_pid, lambda c: c.cancel_safe()
            ),
        }
    )
)
