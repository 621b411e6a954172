"""What each figure is and the bar it is held to: one table, from which the runner judges and the README shows.

A bar is `<= x`, `>= x`, `== x`, or `shown` for a figure that stands beside others for orientation only.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass

COMPARISONS = {"<=": operator.le, ">=": operator.ge, "==": operator.eq}


class BarError(Exception):
    """A key without a bar, or a bar that cannot be read."""


@dataclass(frozen=True, slots=True)
class Bar:
    """The bar of one figure and what the figure is, in both languages."""

    bar: str
    english: str
    chinese: str

    def holds(self, value: float) -> bool:
        """Whether `value` clears the bar."""
        if self.bar == "shown":
            return True
        sign, _, limit = self.bar.partition(" ")
        return bool(COMPARISONS[sign](value, float(limit)))


BARS: dict[str, Bar] = {
    "demo.once_s": Bar("<= 120", "one month from meter to bill, verified", "一个月从电表到账单并核验"),
    "demo.page_s": Bar("<= 20", "start of the demo to its page", "从启动到页面打开"),
    "demo.setup_s": Bar("<= 300", "set-up of the demo on a fresh machine", "全新机器上的演示准备"),
    "crew.qr_read_of_180": Bar(
        ">= 159", "frames of a printed label read, of 180 in nine conditions", "九种条件下 180 帧标签画面中读出的帧数"
    ),
    "crew.fake_caught": Bar(
        ">= 0.95",
        "faked visits caught, of the held-out half of a seeded corpus",
        "假维保被发现的比例（留出的一半样本）",
    ),
    "crew.fake_caught_no_show": Bar(">= 0.80", "of them: nobody came", "其中：没人到场"),
    "crew.fake_caught_one_minute": Bar(">= 0.80", "of them: came for a minute", "其中：到场一两分钟就走"),
    "crew.fake_caught_relayed_code": Bar(
        ">= 0.80", "of them: the display's code sent by chat", "其中：动态码由他人转发"
    ),
    "crew.fake_caught_copied_photo": Bar(">= 0.80", "of them: another visit's photograph", "其中：照片抄自另一次维保"),
    "crew.fake_caught_cloned_phone": Bar(">= 0.80", "of them: a copied phone", "其中：手机被复制"),
    "crew.fake_caught_teleport": Bar(
        ">= 0.80", "of them: one person at two places too soon", "其中：一人短时间内在两地签字"
    ),
    "crew.fake_caught_absent_colleague": Bar(">= 0.80", "of them: the colleague was not there", "其中：同事不在场"),
    "crew.fake_caught_item_not_done": Bar(
        ">= 0.80",
        "of them: items ticked, not done, that the machine would have shown",
        "其中：设备能看出的项目勾了没做",
    ),
    "crew.false_alarm": Bar(
        "<= 0.01", "honest visits not paid for, or asked about gravely", "诚实维保被误判（不付款或严重疑问）的比例"
    ),
    "crew.false_doubt": Bar(
        "<= 0.02", "honest visits of which the machine doubts an item", "诚实维保中有项目被误判为未做的比例"
    ),
    "crew.shell_kb_gz": Bar(
        "<= 600", "the crew app, all that a phone keeps, gzipped", "维保程序手机上保存的全部文件（gzip）"
    ),
    "crew.cold_start_s_4x": Bar("<= 1.5", "it opens without network, CPU slowed 4 times", "无网络打开，CPU 慢 4 倍"),
    "crew.kill_runs": Bar(">= 1000", "kills, crashes, reloads and network flaps of it", "强杀、崩溃、重载和断网次数"),
    "crew.kill_lost": Bar("== 0", "kept steps lost in them", "其中丢失的已保存步骤"),
    "crew.kill_doubled": Bar("== 0", "visits sent twice in them", "其中重复上传的维保"),
    "cli.help_s": Bar("<= 0.3", "`minglou --help`, whole process", "`minglou --help` 整个进程"),
    "verify.python_ms": Bar("<= 5", "one evidence file, all offline checks, Python", "一份证据全部离线核验，Python"),
    "verify.chromium_ms": Bar("<= 50", "the same in Chromium", "同上，Chromium 浏览器"),
    "edge.broker_per_s": Bar(
        "shown", "MQTT through mosquitto to the durable, signed log", "经 mosquitto 到落盘并签名的日志"
    ),
    "edge.ratio_to_floor": Bar(">= 0.60", "that, beside a bare paho to SQLite writer", "与裸 paho 写 SQLite 相比"),
    "edge.direct_per_s": Bar(
        ">= 20000", "MQTT straight to the gateway, acknowledged on disk", "设备直连网关，落盘后确认"
    ),
    "edge.ratio_to_thingsboard": Bar(
        ">= 10", "direct mode beside ThingsBoard IoT Gateway", "直连模式与 ThingsBoard 网关相比"
    ),
    "edge.cpu_ratio_to_thingsboard": Bar(
        "<= 0.1", "CPU a message beside ThingsBoard's", "每条消息 CPU 与 ThingsBoard 相比"
    ),
    "edge.first_forward_s": Bar("<= 0.5", "start to first entry forwarded", "启动到首条上传"),
    "edge.salvaged": Bar(">= 0.999", "entries kept after one destroyed page of 100 MB", "100 MB 日志毁一页后保留比例"),
    "edge.rss_mb": Bar("<= 80", "gateway's memory with 300 devices", "300 台设备时网关内存"),
    "edge.idle_cpu": Bar("<= 0.03", "gateway's CPU with 300 devices", "300 台设备时网关 CPU"),
    "edge.start_s_10m": Bar("<= 2", "start with ten million entries", "一千万条记录时启动"),
    "edge.drain_per_s": Bar(">= 20000", "entries forwarded from a long outage", "长时断网后的补传速度"),
    "edge.kill_runs": Bar(">= 1000", "seeded `kill -9` of the gateway", "网关按种子 `kill -9` 次数"),
    "edge.kill_lost": Bar("== 0", "acknowledged messages lost in them", "其中丢失的已确认消息"),
    "edge.kill_repeated": Bar("== 0", "messages logged twice in them", "其中重复记录的消息"),
    "edge.power_cuts": Bar(">= 200", "simulated power cuts", "模拟断电次数"),
    "edge.power_lost": Bar("== 0", "acknowledged messages lost in them", "其中丢失的已确认消息"),
    "edge.year_rss_growth_mb": Bar("<= 5", "memory growth over a simulated year", "模拟一年的内存增长"),
    "compounds.closed": Bar(">= 100000", "random compounds whose bills close to the cent", "账单分毫不差的随机小区数"),
    "gas.anchor": Bar("<= 62000", "gas of one anchor, however many readings", "一次锚定的 gas（与读数多少无关）"),
    "gas.accept": Bar("<= 75000", "gas of accepting a gateway's head", "接受网关日志头的 gas"),
    "gas.period_close": Bar("<= 120000", "gas of closing a period", "结算一期的 gas"),
    "gas.challenge": Bar(
        "<= 500000", "gas of a challenge answered by four boundary entries", "四条边界记录答复一次质疑的 gas"
    ),
    "gas.visit": Bar("<= 85000", "gas of one visit", "一次维保记录的 gas"),
    "gas.visit_by_law": Bar("shown", "gas of a visit with three signatures", "三人签名的一次维保记录的 gas"),
    "gas.vote_each_100": Bar("<= 25000", "gas of one relayed vote", "一张代发选票的 gas"),
    "gas.vote_each_10": Bar("shown", "gas of one vote in a batch of ten", "十张一批时每张选票的 gas"),
    "gas.convene": Bar("shown", "gas of convening a vote", "发起一次表决的 gas"),
    "gas.roll_each": Bar("shown", "gas of showing the roll, each owner", "公示表决名册，每位业主的 gas"),
    "gas.count_each": Bar("shown", "gas of counting, each owner", "计票，每位业主的 gas"),
    "gas.debit_each_64": Bar("<= 10000", "gas of one bill debited among 64", "64 户一组每户扣款的 gas"),
    "gas.per_event": Bar("<= 4", "anchor gas over entries, 256 gateways x 60", "每条记录分摊的锚定 gas"),
    "gas.passkey": Bar("shown", "gas of checking one passkey signature", "核验一次通行密钥签名的 gas"),
    "gas.base64url": Bar("<= 2400", "gas of 32 bytes in base64url", "32 字节转 base64url 的 gas"),
    "gas.p256_fallback": Bar(
        "<= 246000", "gas of a P-256 signature without the precompile", "无预编译时核验一次 P-256 签名的 gas"
    ),
    "gas.fund_deposit": Bar("shown", "gas of a deposit into the fund", "向维修资金存入一笔的 gas"),
    "gas.fund_income": Bar("shown", "gas of public income recorded and shared", "登记并分配一笔公共收益的 gas"),
    "gas.fund_budget": Bar("shown", "gas of a resolution's budget opened", "按决议开立预算的 gas"),
    "gas.fund_payment": Bar("shown", "gas of a payment by both parties", "双方签付一笔款的 gas"),
    "gas.work_order": Bar("shown", "gas of a repair, from report to payment", "一次报修从报修到付款的 gas"),
    "gas.work_arrival": Bar("shown", "gas of a mechanic's signed arrival", "维保人员签名到达的 gas"),
    "gas.work_fault": Bar("shown", "gas of a lift's own fault report", "电梯自报故障的 gas"),
    "cloud.ingest_per_s_postgres": Bar(">= 50000", "entries ingested, PostgreSQL", "接收速度，PostgreSQL"),
    "cloud.ingest_ratio_to_copy": Bar(">= 0.35", "that, beside a bare COPY", "与裸 COPY 相比"),
    "cloud.ingest_per_s_sqlite": Bar(">= 25000", "entries verified and stored, SQLite", "核验并存储速度，SQLite"),
    "cloud.ingest_per_s_workers2": Bar("shown", "the same over HTTP by two processes", "两个进程经 HTTP 接收的速度"),
    "cloud.ingest_rss_mb": Bar("shown", "memory of ingest after minutes of overload", "过载数分钟后接收进程的内存"),
    "cloud.ingest_rss_growth_mb": Bar("<= 10", "its growth over the last half", "其后半程的增长"),
    "cloud.ack_p99_ms": Bar("<= 250", "acknowledgement at half load, 99th percentile", "半负载下确认时延 p99"),
    "cloud.bills_s_per_million": Bar("<= 120", "a million bills", "一百万份账单"),
    "cloud.rebuild_s_10m": Bar("<= 600", "rebuild from logs of ten million entries", "一千万条记录重建"),
    "cloud.page_p95_ms": Bar("<= 60", "owner pages at 100 requests/s", "业主页面 100 次/秒的 p95"),
    "cloud.site_idle_rss_mb": Bar("<= 20", "one more idle site in a process", "同一进程多一个空闲小区"),
    "cloud.site_idle_cpu_ms": Bar("<= 40", "its processor time in a second", "它每秒占用的处理器时间"),
    "cloud.cluster_lost": Bar("== 0", "entries lost when cluster parts are killed", "集群部件被杀时丢失"),
    "cloud.cluster_doubled": Bar("== 0", "entries doubled then", "集群部件被杀时重复"),
    "chain.fault_runs": Bar(">= 10000", "seeded chain faults", "按种子的链故障次数"),
    "chain.fault_lost": Bar("== 0", "intents lost in them", "其中丢失的意图"),
    "chain.fault_doubled": Bar("== 0", "intents doubled in them", "其中重复的意图"),
    "web.owner_page_kb_gz": Bar(
        "<= 60", "largest owner page with everything it loads, gzip", "最大的业主页面（含资源，gzip）"
    ),
    "web.owner_lcp_s_4x": Bar("<= 1.5", "owner page shown, 4x slowed CPU, 1.6 Mbit/s", "业主页面显示，CPU 慢 4 倍"),
    "web.owner_check_s_4x": Bar("<= 2", "*Check it yourself* under the same", "同条件下“自己核验”"),
    "install.work_s": Bar("<= 300", "from flashed card to first entry", "从刷卡到首条记录"),
    "soak.lost": Bar("== 0", "entries lost in the soak", "长跑中丢失"),
    "soak.doubled": Bar("== 0", "entries doubled in the soak", "长跑中重复"),
}


def bar_of(key: str) -> Bar:
    """The bar of `key`; a figure without one is refused, so that none is shown that nobody judged."""
    if key not in BARS:
        raise BarError(f"figure {key}: no bar; add it to tests/bench/bars.py with what it is")
    return BARS[key]
