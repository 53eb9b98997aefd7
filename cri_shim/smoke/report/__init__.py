"""What came of the checks: on the terminal while they run and afterwards, and in files for machines."""
