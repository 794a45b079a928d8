"""main.py plain|hydra SETTINGS-FILE RESULT-FILE: measures one way to decode a random model of a shape."""

import json
import sys

import torch

import hydra
import plain
from measure import Report
from model import Model, Random, Shape


@torch.inference_mode()
def main(peer, settings_file, result_file):
    with open(settings_file) as file:
        settings = json.load(file)
    report = Report(result_file)
    random = Random(seed=1)
    model = Model(Shape(**settings["shape"]), random)
    if peer == "plain":
        plain.run(model, settings, report)
    else:
        hydra.run(model, random, settings, report)
    report.write()


main(*sys.argv[1:])
