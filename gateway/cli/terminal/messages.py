"""What people in the kitchen read, in their language: one catalogue, every text in every language."""

import json
from pathlib import Path

from gateway.local.paths import StatePaths

MESSAGES: dict[str, dict[str, str]] = {
    # heads of tables
    "point": {"en": "point", "ko": "측정점"},
    "value": {"en": "value", "ko": "값"},
    "quality": {"en": "quality", "ko": "품질"},
    "age": {"en": "age", "ko": "경과"},
    "detail": {"en": "detail", "ko": "설명"},
    "output": {"en": "output", "ko": "출력"},
    "line": {"en": "line", "ko": "선로"},
    "held by": {"en": "held by", "ko": "결정 슬롯"},
    "reason": {"en": "reason", "ko": "이유"},
    "alarm": {"en": "alarm", "ko": "경보"},
    "state": {"en": "state", "ko": "상태"},
    "priority": {"en": "priority", "ko": "중요도"},
    "text": {"en": "text", "ko": "내용"},
    "since": {"en": "since", "ko": "지속"},
    "interlock": {"en": "interlock", "ko": "인터록"},
    "process": {"en": "process", "ko": "프로세스"},
    "restarts": {"en": "restarts", "ko": "재시작"},
    "class": {"en": "class", "ko": "분류"},
    "time": {"en": "time", "ko": "시각"},
    # values
    "on": {"en": "on", "ko": "켜짐"},
    "off": {"en": "off", "ko": "꺼짐"},
    "yes": {"en": "yes", "ko": "예"},
    "no": {"en": "no", "ko": "아니오"},
    "unknown": {"en": "unknown", "ko": "알 수 없음"},
    "Good": {"en": "Good", "ko": "정상"},
    "Uncertain": {"en": "Uncertain", "ko": "불확실"},
    "Bad": {"en": "Bad", "ko": "불량"},
    "tripped": {"en": "tripped", "ko": "작동"},
    "clear": {"en": "clear", "ko": "정상"},
    "latched": {"en": "tripped, cause gone: needs a reset", "ko": "원인 해소: 리셋 필요"},
    "bypassed": {"en": "bypassed", "ko": "우회 중"},
    # ISA-18.2 states
    "NORM": {"en": "normal", "ko": "정상"},
    "UNACK": {"en": "active", "ko": "발생"},
    "ACKED": {"en": "active, acknowledged", "ko": "발생, 확인됨"},
    "RTNUN": {"en": "over, not acknowledged", "ko": "해소, 미확인"},
    "LUNACK": {"en": "over, latched, not acknowledged", "ko": "해소, 유지, 미확인"},
    "LACKED": {"en": "over, latched", "ko": "해소, 유지"},
    "SHLVD": {"en": "shelved", "ko": "보류"},
    "DSUPR": {"en": "suppressed", "ko": "억제"},
    "OOSRV": {"en": "out of service", "ko": "사용 안 함"},
    "low": {"en": "low", "ko": "낮음"},
    "medium": {"en": "medium", "ko": "보통"},
    "high": {"en": "high", "ko": "높음"},
    "urgent": {"en": "urgent", "ko": "긴급"},
    # sentences
    "no alarms": {"en": "no alarms", "ko": "경보 없음"},
    "nothing answers": {"en": "does not answer", "ko": "응답 없음"},
    "waiting": {"en": "waiting for the gateway", "ko": "게이트웨이를 기다리는 중"},
    "simulated": {"en": "SIMULATED", "ko": "모의"},
    "stop hint": {"en": "Ctrl-C stops", "ko": "Ctrl-C로 종료"},
    "running": {"en": "running", "ko": "실행 중"},
    "stopped": {"en": "stopped", "ko": "정지"},
    "broker connected": {"en": "broker connected", "ko": "브로커 연결됨"},
    "broker away": {"en": "no broker (everything is kept)", "ko": "브로커 없음 (모두 보관 중)"},
}


class Words:
    """The catalogue in one language; a word that is not in it stays as it is."""

    def __init__(self, language: str = "en") -> None:
        self.language = language

    def __call__(self, key: str) -> str:
        """The text for a key."""
        return MESSAGES.get(key, {}).get(self.language, key)


def site_words(state: Path) -> Words:
    """The site's language, as the configuration in force says; English when there is none."""
    try:
        snapshot = json.loads(StatePaths(state).snapshot.read_bytes())
        return Words(str(snapshot["site"]["language"]))
    except (OSError, ValueError, KeyError, TypeError):
        return Words()
