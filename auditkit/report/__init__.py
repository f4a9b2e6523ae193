"""What an auditor opens: files of tables, narrative, charts, notebooks, binder and workbook."""
