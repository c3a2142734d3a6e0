"""Domain: cost basis. Which lots an account holds, what each cost, and what their sale gained."""
