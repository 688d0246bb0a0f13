"""Carries out studies: plan, lab, loop, judge, executors."""
