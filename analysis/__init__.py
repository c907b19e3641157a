"""Studies, a file each (`analysis.study.Study` says what it defines); `python -m analysis NAME` runs one."""
