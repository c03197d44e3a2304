"""Tasks: a paid call that is answered at once with a task, whose id is that of the job."""
