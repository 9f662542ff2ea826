"""What the public documentation of the Pods service shows, by the unmodified client.

Prints one JSON object: by step, what the caller saw.
"""

import json
import os
import time

from tapipy.errors import BaseTapyException
from tapipy.tapis import Tapis

base_url = os.environ["BASE_URL"]
seen = {}


def step(name, call, show=lambda result: result):
    """What a call gives, or the class of the client's error that it raises."""
    try:
        seen[name] = show(call())
    except BaseTapyException as error:
        seen[name] = [type(error).__name__, error.message]


def plain(result):
    """The client's objects as JSON has them."""
    if isinstance(result, list):
        return [plain(each) for each in result]
    if hasattr(result, "__dict__"):
        return {key: plain(value) for key, value in vars(result).items()}
    return result


def wait(pod_id, status):
    """Looks until the pod has this status, for a minute."""
    for _ in range(300):
        if t.pods.get_pod(pod_id=pod_id).status == status:
            return status
        time.sleep(0.2)
    return t.pods.get_pod(pod_id=pod_id).status


def secretless(result):
    return [result.user_username, len(result.user_password)]


t = Tapis(base_url=base_url, username="admin", password=os.environ["PASSWORD"])
t.get_tokens()
seen["tenant"] = t.tenant_id
step("profile", lambda: t.authenticator.get_profile(username="admin"), lambda p: p.username)

step("create", lambda: t.pods.create_pod(pod_id="docpod", template="hello", description="My example pod!"), plain)
step("available", lambda: wait("docpod", "AVAILABLE"))
step("list", lambda: t.pods.list_pods(), lambda pods: sorted(pod.pod_id for pod in pods))
step("get", lambda: t.pods.get_pod(pod_id="docpod"), lambda pod: pod.networking.default.url)
step("derived", lambda: t.pods.get_derived_pod(pod_id="docpod"), lambda pod: pod.image)
step("logs", lambda: t.pods.get_pod_logs(pod_id="docpod"), lambda logs: [type(logs.logs).__name__, logs.action_logs[0][16:]])
step("credentials", lambda: t.pods.get_pod_credentials(pod_id="docpod"), secretless)
step("update", lambda: t.pods.update_pod(pod_id="docpod", description="Other"), lambda pod: pod.description)
step("permissions", lambda: t.pods.set_pod_permission(pod_id="docpod", user="bob", level="READ"), plain)
step("permissions list", lambda: t.pods.get_pod_permissions(pod_id="docpod"), plain)
step("permissions less", lambda: t.pods.delete_pod_permission(pod_id="docpod", user="bob"), plain)
step("restart", lambda: t.pods.restart_pod(pod_id="docpod", grab_latest_template_tag=True), lambda pod: pod.template[:13])
step("stop", lambda: t.pods.stop_pod(pod_id="docpod"), lambda pod: pod.status_requested)
step("stopped", lambda: wait("docpod", "STOPPED"))
step("start", lambda: t.pods.start_pod(pod_id="docpod"), lambda pod: pod.status_requested)

step("image", lambda: t.pods.add_image(image="tiangolo/uvicorn-gunicorn-fastapi"), lambda image: image.image)
step("image get", lambda: t.pods.get_image(image_id="tiangolo/uvicorn-gunicorn-fastapi"), lambda image: image.added_by)
step("images", lambda: t.pods.add_images(request_body=[{"image": "a/one"}, {"image": "a/two"}]), lambda images: [image.image for image in images])
step("images again", lambda: t.pods.add_images(request_body=[{"image": "a/one"}], skip_duplicates=True), plain)
step("images list", lambda: t.pods.get_images(), lambda images: len(images) > 3)
step("image gone", lambda: t.pods.delete_image(image_id="tiangolo/uvicorn-gunicorn-fastapi"))

step("template", lambda: t.pods.add_template(template_id="mine", description="d"), plain)
step("template list", lambda: t.pods.list_templates(), lambda all: "mine" in [each.template_id for each in all])
step("template get", lambda: t.pods.get_template(template_id="mine"), lambda each: each.description)
step("template update", lambda: t.pods.update_template(template_id="mine", description="new"), lambda each: each.description)
step("tag", lambda: t.pods.add_template_tag(template_id="mine", pod_definition={"image": "podgate/hello"}, commit_message="first", tag="v1"), lambda tag: tag.tag)
step("tags", lambda: t.pods.list_template_tags(template_id="mine"), lambda tags: [tag.commit_message for tag in tags])
step("tag get", lambda: t.pods.get_template_tag(template_id="mine", tag_id="v1"), lambda tags: tags[0].pod_definition.image)
step("templates and tags", lambda: t.pods.list_templates_and_tags(), lambda all: all.mine.tags[0].tag)
step("template permission", lambda: t.pods.set_template_permission(template_id="mine", user="bob", level="READ"), plain)
step("template permissions", lambda: t.pods.get_template_permissions(template_id="mine"), plain)
step("template permission less", lambda: t.pods.delete_template_permission(template_id="mine", user="bob"), plain)
step("save", lambda: t.pods.save_pod_as_template_tag(pod_id_net="docpod", template_id="mine", commit_message="saved", tag="v2"), lambda tag: tag.pod_definition.template[:6])
step("from saved", lambda: t.pods.create_pod(pod_id="second", template="mine:v2"), lambda pod: pod.template[:8])
step("template gone", lambda: t.pods.delete_template(template_id="mine"), lambda whole: whole["message"])

step("delete", lambda: t.pods.delete_pod(pod_id="docpod"), lambda whole: [whole["message"], whole["status"]])
step("delete second", lambda: t.pods.delete_pod(pod_id="second"), lambda whole: whole["status"])
step("health", lambda: t.pods.healthcheck(), lambda text: type(text).__name__)
step("routes", lambda: t.pods.traefik_config(), lambda table: type(table.revision).__name__)
step("volumes", lambda: t.pods.list_volumes())

step("no such pod", lambda: t.pods.get_pod(pod_id="nosuchpod"))
step("bad input", lambda: t.pods.create_pod(pod_id="Bad", template="hello"))
head, body, signature = t.access_token.access_token.split(".")
forged = f"{head}.{body}.{'A' * len(signature)}"
stranger = Tapis(base_url=base_url, access_token=forged)
step("forged", lambda: stranger.pods.list_pods())

print(json.dumps(seen))
