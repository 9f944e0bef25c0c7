"""What is asked, worked out beforehand: which jobs have records, what they lack, and plans that engines work off."""
