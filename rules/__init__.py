"""Pure decisions: the expression language, interlocks, alarms, rules and arbitration. No I/O, no threads, no clock."""
