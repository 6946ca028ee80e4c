"""What is seen while a run or a study goes on: live displays, lines, JSON events, TensorBoard."""
