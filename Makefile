# An alias for run.py, for those who type make.
.PHONY: demo test test-all lint docs
demo test test-all lint docs:
	python3 run.py $@
