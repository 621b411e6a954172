"""What the file about one flat says of itself, in Chinese and English."""

__all__ = ["readme"]

_README = """{door}: 本系统保存的关于您家的全部数据
{door}: everything that is kept here about your flat

这个文件只包含您家（租户：只包含入住之后）的数据。里面没有姓名：系统里不保存姓名。
This file holds your flat's data alone (a tenant's from the day of moving in). It names nobody: no name is kept.

person.json       账户、角色、通行密钥与登录记录（不含密钥本身）
                  your account, roles, passkeys and sessions; never a key itself
readings.csv      电表、水表的每一条读数，包括账单所用的日界读数（数量栏带 *），附盐值与叶哈希
                  every reading of your meters, boundary readings (quantity with *) among them, with salt and leaf hash
bills/            每期账单的完整文件：明细、盐值、证明
                  each period's bill: lines, salt and proof
bills.csv, bill-lines.csv, payments.csv
                  同样的账单、明细与付款，表格形式（仅业主）
                  the same bills and lines, and payments, as tables (owners only)
disputes.json     您对账单提出的异议及结果（仅业主）
                  disputes of your bills and what came of them (owners only)
evidence/         账单所依据的每条日界读数的证据文件
                  the evidence file of each boundary reading that a bill rests on
visits.json       在您家设备上的维修到访；公共设备的到访见其公开页面
                  visits at your own devices; those at common ones are on their public pages
looks.json        谁在何时查看或导出过您家的数据（审计日志）；programs 是本户自己的程序，每小时记一次
                  who looked at or exported your flat's data, and when (from the audit log); under programs
                  those of the flat itself, told once an hour
trust.json        核验所需的信任根；请与公告栏上的指纹核对
                  the trust roots; compare their fingerprint with the notice board

投票、授权与付款的签名在区块链上，不保存在这里。
Ballots, mandates and their signatures are on the chain and not kept here.

如何自行核验 / To check it yourself:
  minglou verify evidence/FILE.json --trust trust.json
  minglou verify bills/PERIOD.json --trust trust.json
或在本站的“自行核验”页面打开这些文件。 / or open them on this site's page "Check it yourself".
任何其他读数的证据 / evidence of any other reading: GET /v1/evidence/ORIGIN/INDEX (origin, entry_index in readings.csv).
"""


def readme(door: str) -> str:
    """The README of one flat's file."""
    return _README.format(door=door)
