"""Cuts coco.json out of COCO annotations with detections and what pycocotools says of them: make_coco.py FOLDER.

FOLDER holds annotations/instances_test.json and golden/ (detections, expected.json, masks.json, box_iou.json).
Kept are the first 20 images by id, whose twelve numbers expected.json has, and the masks with a short text.
"""

import json
import pathlib
import sys

folder = pathlib.Path(sys.argv[1])


def read(name):
    return json.loads((folder / name).read_text())


annotations = read("annotations/instances_test.json")
expected = read("golden/expected.json")
kept = set(sorted(image["id"] for image in annotations["images"])[:20])
fields = ("image_id", "category_id", "bbox", "area", "iscrowd", "segmentation")
result = {
    "images": [{key: image[key] for key in ("id", "height", "width")} for image in annotations["images"] if image["id"] in kept],
    "categories": [category["id"] for category in annotations["categories"]],
    "annotations": [{key: one[key] for key in fields} for one in annotations["annotations"] if one["image_id"] in kept],
    "statsNames": expected["statsNames"],
}
for kind in ("bbox", "segm"):
    detections = read(f"golden/detections_{kind}.json")
    result[kind] = {
        "detections": [one for one in detections if one["image_id"] in kept],
        "stats": expected[kind]["first20"],
    }
result["masks"] = [mask for mask in read("golden/masks.json") if len(json.dumps(mask)) < 700]
result["boxIou"] = read("golden/box_iou.json")
target = pathlib.Path(__file__).parent / "coco.json"
target.write_text(json.dumps(result, separators=(",", ":")) + "\n")
