"""Splits a folder of classes in two that share no image: the first COUNT of each class for students, the rest for a teacher.

    python3 bench/distillation/split.py cifar10/train cifar10 1200      # makes cifar10/student, cifar10/teacher (links)
"""
import os
import sys

source, target, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
for name in sorted(os.listdir(source)):
    files = sorted(os.listdir(os.path.join(source, name)))
    for part, chosen in (("student", files[:count]), ("teacher", files[count:])):
        folder = os.path.join(target, part, name)
        os.makedirs(folder)
        for file in chosen:
            os.link(os.path.join(source, name, file), os.path.join(folder, file))
