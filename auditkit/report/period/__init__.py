"""What people read of a period: workpapers, workbook, and the files that hold its frames."""
