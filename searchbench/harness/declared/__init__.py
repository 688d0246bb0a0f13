"""What a user declares: studies, problems, objectives, limits; and the runs that they stand for."""
