"""Queue two plans, run them, and look at what came of them."""

from bluesky_queueserver_api import BFunc, BPlan
from bluesky_queueserver_api.zmq import REManagerAPI

queue = REManagerAPI()  # where `acctwin queue start` said
queue.item_add(BPlan("measure_orbit", readings=5))
queue.item_add(BPlan("correct_orbit", response="model", iterations=1))
queue.queue_start()
queue.wait_for_idle(timeout=120)

for item in queue.history_get()["items"][-2:]:
    (uid,) = item["result"]["run_uids"]
    task = queue.function_execute(BFunc("plan_result", uid))["task_uid"]
    queue.wait_for_completed_task(task, timeout=60)
    result = queue.task_result(task)["result"]["return_value"]
    print(item["name"], item["result"]["exit_status"], sorted(result))
queue.close()
