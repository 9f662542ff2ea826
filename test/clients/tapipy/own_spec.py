"""The unmodified client with the operations of our own description instead of those it carries.

Prints what it saw as one line of JSON.
"""

import json
import os

from tapipy.tapis import Tapis

base_url = os.environ["BASE_URL"]
t = Tapis(
    base_url=base_url,
    username="admin",
    password=os.environ["PASSWORD"],
    download_latest_specs=True,
    custom_spec_dict={"pods": f"{base_url}/v3/openapi.yaml"},
)
t.get_tokens()
template = t.pods.create_template(template_id="owntemplate", description="d")
tag = t.pods.create_template_tag(
    template_id="owntemplate", pod_definition={"image": "podgate/hello"}, commit_message="first"
)
restarted = t.pods.restart_pod(pod_id="hello", grab_latest_template_tag=True)
print(json.dumps([template.template_id, tag.tag, restarted.pod_id]))
