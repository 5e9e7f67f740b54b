"""The one host of pyinfra's."""

import os

hosts = [
    (
        "127.0.0.1",
        {
            "ssh_user": os.environ["SSH_USER"],
            "ssh_port": int(os.environ["SSH_PORT"]),
            "ssh_key": os.environ["SSH_KEY"],
            "ssh_known_hosts_file": os.environ["SSH_KNOWN_HOSTS"],
            "ssh_strict_host_key_checking": "yes",
        },
    )
]
