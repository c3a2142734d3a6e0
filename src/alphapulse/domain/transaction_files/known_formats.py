"""Known formats: what other programs call their columns and kinds. Pure data.

Only columns that the program's own documentation names, or its own samples show, are read here.
"""

from alphapulse.domain.ledger import EntryKind
from alphapulse.domain.transaction_files.mapping import ColumnMapping, FeeRule, Field

KOINLY = ColumnMapping(
    columns={
        Field.AT: "Date",
        Field.SENT: "Sent Amount",
        Field.SENT_ASSET: "Sent Currency",
        Field.RECEIVED: "Received Amount",
        Field.RECEIVED_ASSET: "Received Currency",
        Field.FEE: "Fee Amount",
        Field.FEE_ASSET: "Fee Currency",
        Field.KIND: "Label",
        Field.NOTE: "Description",
        Field.REFERENCE: "TxHash",
    },
    kinds={
        "airdrop": EntryKind.REWARD,
        "fork": EntryKind.REWARD,
        "mining": EntryKind.REWARD,
        "reward": EntryKind.REWARD,
        "cashback": EntryKind.REWARD,
        "salary": EntryKind.REWARD,
        "income": EntryKind.REWARD,
        "other income": EntryKind.REWARD,
        "lending interest": EntryKind.INTEREST,
        "loan interest": EntryKind.INTEREST,
        "interest payment": EntryKind.INTEREST,
        "fee refund": EntryKind.FEE,
        "cost": EntryKind.FEE,
        "margin fee": EntryKind.FEE,
        "loan fee": EntryKind.FEE,
        "realized pnl": EntryKind.PROFIT,
        "realized p&l": EntryKind.PROFIT,
        "gift": EntryKind.WITHDRAWAL,
        "donation": EntryKind.WITHDRAWAL,
        "lost": EntryKind.WITHDRAWAL,
        "tax": EntryKind.WITHDRAWAL,
        "swap": EntryKind.FILL,
    },
)
"""Koinly's universal template: times in UTC, the fee apart from what was sent.

Source: support.koinly.io articles 9489976 (custom CSV file) and 9490023 (tags); the fee is
"excluded from the amount sent" by adastry.io/learn/docs/export/transaction-csv (2026-11-23).
"""

COINTRACKING = ColumnMapping(
    columns={
        Field.KIND: "Type",
        Field.RECEIVED: "Buy Amount",
        Field.RECEIVED_ASSET: "Buy Currency",
        Field.SENT: "Sell Amount",
        Field.SENT_ASSET: "Sell Currency",
        Field.FEE: "Fee",
        Field.FEE_ASSET: "Fee Currency",
        Field.NOTE: "Comment",
        Field.AT: "Date",
    },
    kinds={
        "trade": EntryKind.FILL,
        "swap (non taxable)": EntryKind.FILL,
        "deposit": EntryKind.DEPOSIT,
        "withdrawal": EntryKind.WITHDRAWAL,
        "income": EntryKind.REWARD,
        "income (non taxable)": EntryKind.REWARD,
        "other income": EntryKind.REWARD,
        "reward / bonus": EntryKind.REWARD,
        "staking": EntryKind.REWARD,
        "masternode": EntryKind.REWARD,
        "mining": EntryKind.REWARD,
        "mining (commercial)": EntryKind.REWARD,
        "airdrop": EntryKind.REWARD,
        "airdrop (non taxable)": EntryKind.REWARD,
        "dividends income": EntryKind.REWARD,
        "interest income": EntryKind.INTEREST,
        "lending income": EntryKind.INTEREST,
        "gift / tip": EntryKind.DEPOSIT,
        "gift": EntryKind.WITHDRAWAL,
        "spend": EntryKind.WITHDRAWAL,
        "donation": EntryKind.WITHDRAWAL,
        "stolen / hacked / fraud": EntryKind.WITHDRAWAL,
        "lost": EntryKind.WITHDRAWAL,
        "expense (non taxable)": EntryKind.WITHDRAWAL,
        "other expense": EntryKind.WITHDRAWAL,
        "other fee": EntryKind.FEE,
        "borrowing fee": EntryKind.FEE,
    },
    date_format="%d.%m.%Y %H:%M:%S",
    fee=FeeRule.INCLUDED,
)
"""CoinTracking's CSV for import. Its amounts include the fee, and a fee in a third currency is a
row of its own; its times are in the zone of the user's settings, UTC unless the request says so.

Source: cointracking.freshdesk.com articles 29000007202 (fees) and 29000042783 (types); columns and
date as its CSV template shows them (2026-11-23).
"""

KNOWN_FORMATS = {"koinly": KOINLY, "cointracking": COINTRACKING}
