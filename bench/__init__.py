"""Measures respawnd beside a C program that does the same job with nothing around it; see README.md in this folder."""
