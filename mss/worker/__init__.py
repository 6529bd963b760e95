"""What happens when nobody is asking: deliveries, notices, and jobs by the clock."""
