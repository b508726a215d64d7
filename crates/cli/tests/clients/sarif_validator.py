"""Validates a file of SARIF: `python3 sarif_validator.py FILE FOLDER`, with npm's sarif-multitool in the folder.

By the schema of the standard, and by the rules of the multitool for SARIF and for GitHub's code scanning. Says what is wrong, and
ends with 1 then.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

import jsonschema

file, folder = sys.argv[1], pathlib.Path(sys.argv[2])
sarif = json.loads(pathlib.Path(file).read_text())
schema = json.loads((folder / "sarif-2.1.0.json").read_text())
validator = jsonschema.validators.validator_for(schema)
validator.check_schema(schema)
wrong = [f"{error.json_path}: {error.message}" for error in validator(schema).iter_errors(sarif)]

# npm unpacks it without leave to be run; its texts need no library of the system in this mode.
tool = folder / "Sarif.Multitool"
tool.chmod(0o755)
with tempfile.TemporaryDirectory() as scratch:
    report = pathlib.Path(scratch) / "report.sarif"
    call = [tool, "validate", file, "--rule-kind", "Sarif;Ghas", "--output", report]
    subprocess.run(call, env={**os.environ, "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT": "1"}, check=True, stdout=subprocess.DEVNULL)
    run = json.loads(report.read_text())["runs"][0]
wrong += [f"{result['ruleId']}: {json.dumps(result['message'])}" for result in run["results"]]

print("results", len(sarif["runs"][0]["results"]))
for line in wrong:
    print("wrong", line[:300])
sys.exit(1 if wrong else 0)
