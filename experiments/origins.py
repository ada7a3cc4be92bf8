"""Where runs were made: machine and commit, as columns of a table and at its foot."""

from typing import Any

import pandas as pd


def origin_columns(origin: dict[str, Any]) -> dict[str, object]:
    """Return `commit`, `dirty` and `hardware` of a run's provenance; several values where shards or restarts differ."""
    origins = [origin, *origin.get("others", [])]
    commits = dict.fromkeys(str(one["commit"]) for one in origins if one["commit"])
    return {
        "commit": ", ".join(commits) or None,
        "dirty": any(one["dirty"] for one in origins) if commits else None,
        "hardware": " and ".join(dict.fromkeys(_hardware(one["hardware"]) for one in origins)),
    }


def _hardware(hardware: dict[str, Any]) -> str:
    cpu = f"{hardware['cpu']}, {hardware['cores']} cores"
    return f"{hardware['gpu']}; {cpu}" if hardware["gpu"] else cpu


def describe_origins(frame: pd.DataFrame, key: str) -> list[str]:
    """Name machine and commit, once if they are the same for all rows; `key` is the column that names a row."""
    texts = [
        f"{hardware}; commit {_short(commit) if pd.notna(commit) else 'unknown'}"
        f"{', with uncommitted changes' if dirty else ''}"
        for hardware, commit, dirty in zip(frame["hardware"], frame["commit"], frame["dirty"], strict=True)
    ]
    if len(set(texts)) == 1:
        return [f"Measured on {texts[0]}."]
    groups = {text: [name for name, t in zip(frame[key], texts, strict=True) if t == text] for text in texts}
    return [f"{', '.join(dict.fromkeys(names))}: measured on {text}." for text, names in groups.items()]


def _short(commits: str) -> str:
    return ", ".join(commit[:12] for commit in commits.split(", "))
